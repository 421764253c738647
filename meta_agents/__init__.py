"""The wing that looks after the house: health, healing, governance and change."""
