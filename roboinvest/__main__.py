"""`python -m roboinvest` is the same as `roboinvest`."""

from roboinvest.cli.main import run_and_exit

if __name__ == "__main__":
    run_and_exit()
