"""Services of the house: settings, clocks, bus, supervision, storage, control, logs."""
