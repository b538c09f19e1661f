"""Ready-made hyperparameters, one folder per algorithm; installed as ``easyedit_ice.presets``."""
