"""nn.Modules by name. No training loops here; what MONAI has comes from MONAI."""
