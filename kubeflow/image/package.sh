#!/bin/sh
# Stage builder: Graft itself, installed as a package; what nothing needs goes, and the rest has bytecode for good.
set -eu
mkdir /package
# The repository is the package `graft`, and setuptools writes beside setup.py.
cp -r /source /package/graft
/build/uv/bin/uv pip install -q --no-cache --no-deps --offline --no-build-isolation --python /opt/graft/bin/python /package/graft
cd /opt/graft
rm -f .gitignore .lock CACHEDIR.TAG bin/activate* bin/deactivate* bin/pydoc.bat
# 440 MB of headers, to compile operations of one's own against TensorFlow.
rm -r lib/python3*/site-packages/tensorflow/include
# Some packages carry templates and files for Python 2: compileall fails on them, as it would wherever they are installed.
PYTHONWARNINGS=ignore bin/python -m compileall -qq -j 0 --invalidation-mode unchecked-hash lib/python3*/site-packages || true
