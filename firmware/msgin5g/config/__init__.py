"""The configuration of a UE: parsed, checked, stored, tried, confirmed or rolled back."""
