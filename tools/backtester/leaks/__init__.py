"""Detectors of look-ahead: a strategy is put to the question before its figures are believed."""
