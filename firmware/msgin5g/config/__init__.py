"""The UE's configuration: checked, stored so that a power cut cannot hurt, tried, rolled back."""
