"""Evaluation: metrics, the evaluation of a run, and prediction of a user's own video."""
