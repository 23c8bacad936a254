#!/bin/sh
# Install pyradiomics 3.0.1 into a virtual environment:  sh tools/install_pyradiomics.sh .venv/bin/python
#
# Plain `pip install pyradiomics` fails: the build needs numpy, a setuptools that still has `setuptools.command.test` (before
# version 72) and, on Python 3.12 and newer, two names of configparser that are gone. So the wheel is built in an environment
# of its own, against the numpy that is installed here, and only the wheel and what it imports are added. What is installed
# already keeps its version. Needs a C compiler.
set -eu

PYTHON=${1:?usage: sh tools/install_pyradiomics.sh PYTHON (the python of the virtual environment to install into)}
VERSION=3.0.1
SHA256=47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5 # of the source on PyPI

if ! command -v "${CC:-cc}" >/dev/null 2>&1; then
    echo "install_pyradiomics: there is no C compiler (${CC:-cc}); pyradiomics is built from source." >&2
    echo "  Debian, Ubuntu: apt-get install gcc python3-dev    macOS: xcode-select --install" >&2
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

"$PYTHON" -m pip --disable-pip-version-check freeze --exclude-editable | { grep -E '^[A-Za-z0-9_.-]+==' || :; } >"$work/installed.txt"
numpy=$("$PYTHON" -c 'import numpy; print(numpy.__version__)')

echo "building pyradiomics $VERSION against numpy $numpy (a minute)"
"$PYTHON" -m venv "$work/build"
build="$work/build/bin/python"
"$build" -m pip --disable-pip-version-check --quiet install "numpy==$numpy" 'setuptools<72' wheel
# setup.py's versioneer asks configparser for names that Python 3.12 dropped; this environment gives them back.
cat >"$("$build" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/sitecustomize.py" <<'PYTHON'
import configparser

if not hasattr(configparser, "SafeConfigParser"):
    configparser.SafeConfigParser = configparser.ConfigParser
    configparser.RawConfigParser.readfp = configparser.RawConfigParser.read_file
PYTHON
echo "pyradiomics==$VERSION --hash=sha256:$SHA256" >"$work/source.txt"
"$build" -m pip --disable-pip-version-check --quiet wheel --require-hashes --no-deps --no-binary pyradiomics --no-build-isolation \
    --wheel-dir "$work/wheel" --requirement "$work/source.txt"

"$PYTHON" -m pip --disable-pip-version-check --quiet install --constraint "$work/installed.txt" \
    'numpy' 'SimpleITK>=0.9.1' 'PyWavelets>=1.6' 'pykwalify>=1.6' 'six>=1.10' \
    'scipy' 'scikit-image' 'trimesh' # without these three pyradiomics leaves LBP2D and LBP3D out, with no more than a warning
"$PYTHON" -m pip --disable-pip-version-check --quiet install --no-deps --force-reinstall "$work"/wheel/pyradiomics-"$VERSION"-*.whl

"$PYTHON" - <<'PYTHON'
import logging

import numpy as np
import radiomics
import scipy.special
import SimpleITK as sitk
from radiomics import featureextractor

logging.getLogger("radiomics").setLevel(logging.ERROR)
z, y, x = np.indices((6, 7, 8))
image = sitk.GetImageFromArray((10 * (x + 2 * y + 3 * z)).astype(np.int16))
mask = sitk.GetImageFromArray(((x > 1) & (x < 6) & (y > 1) & (y < 6) & (z > 0) & (z < 5)).astype(np.uint8))
row = featureextractor.RadiomicsFeatureExtractor().execute(image, mask)
features = [name for name in row if name.startswith("original_")]
assert len(features) == 107 and float(row["original_shape_VoxelVolume"]) == 64.0 and float(row["original_firstorder_Mean"]) == 180.0, row
if not hasattr(scipy.special, "sph_harm"):  # gone since scipy 1.17; `engine: pyradiomics` and the tests mend it like this
    scipy.special.sph_harm = lambda m, n, theta, phi: scipy.special.sph_harm_y(n, m, phi, theta)
patterns = {"imageType": {"LBP2D": {"binWidth": 1}, "LBP3D": {"binWidth": 0.1}}, "featureClass": {"firstorder": ["Mean"]}}
lbp = [name for name in featureextractor.RadiomicsFeatureExtractor(patterns).execute(image, mask) if name.startswith("lbp-")]
assert len(lbp) == 4, lbp
print(f"pyradiomics {radiomics.__version__} is installed and extracts {len(features)} features (numpy {np.__version__}, SimpleITK {sitk.Version_VersionString()})")
PYTHON
