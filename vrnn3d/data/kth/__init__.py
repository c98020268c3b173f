"""KTH Actions: official names, download, decoded cache and dataset."""
