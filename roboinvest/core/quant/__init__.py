"""The quantitative expert: indicators, levels, regime, setup vector, votes and calibration."""
