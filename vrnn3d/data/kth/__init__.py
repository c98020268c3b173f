"""KTH Actions: names of its clips, download, decoded cache, dataset and augmentation, each in a module of its own."""
