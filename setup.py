"""Everything is declared in setup.cfg but what it cannot: hparams/ is installed as easyedit_ice.presets."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["easyedit_ice", "easyedit_ice.*"]), "easyedit_ice.presets"],
    package_dir={"easyedit_ice.presets": "hparams"},
)
