"""Keeps a copy of the served versions of a store on S3, for a server that reads files only.

    python mirror.py [--once] [--every SECONDS] s3://BUCKET/PREFIX FOLDER

Reads PREFIX/mounted.config, which names each model with its served version, copies the versions that are not there
yet, compares each file with the version's manifest, and only then writes FOLDER/mounted.config. So the server that
polls that file sees the old version or the whole new one. A version that is no longer served is removed when the one
after it is replaced too. Endpoint, region and keys come from the variables of the AWS tools.

What it does and what fails is a line on stderr each. After an error the next round tries again; what was served stays.
With --once it ends with the first round that succeeds. Exit code 2: the arguments are wrong.
"""

import argparse
import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
import signal
import sys
import time
import types

import boto3
import botocore.config
import botocore.exceptions

CONFIG = "mounted.config"
MANIFEST = "graft_manifest.json"
_ENTRY = re.compile(r'name: "([A-Za-z0-9_-][A-Za-z0-9_.-]{0,127})".*?versions: ([0-9]{1,19})', re.DOTALL)
_MAX_BYTES = 64 << 20

logger = logging.getLogger("mirror")


class Fault(Exception):
    """Why a round could not end."""


class Mirror:
    """A copy of one store.

    Args:
        store: s3://BUCKET/PREFIX.
        folder: where the copy lies.

    Raises:
        Fault: `store` is no such address.
    """

    def __init__(self, store: str, folder: pathlib.Path):
        found = re.fullmatch(r"s3://([^/]+)/?(.*?)/*", store)
        if not found:
            raise Fault(f"received {store}; allowed: s3://BUCKET/PREFIX")
        self._bucket, self._prefix = found[1], f"{found[2]}/" if found[2] else ""
        self._folder = folder
        self._before: set[tuple[str, str]] = set()
        limits = botocore.config.Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard"})
        self._s3 = boto3.client("s3", config=limits)

    def round(self) -> bool:
        """Brings the copy up to date once; whether it changed.

        Raises:
            Fault: something is missing or is not what the manifest says.
            botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: the object store did not answer.
            OSError: the copy could not be written.
        """
        config = self._read(CONFIG)
        served = set(_ENTRY.findall(config.decode()))
        for model, version in sorted(served):
            if not (self._folder / model / version).is_dir():
                self._copy(model, version)
        path = self._folder / CONFIG
        if path.is_file() and path.read_bytes() == config:
            self._before = served
            return False
        written = path.with_name(f".{CONFIG}")
        written.write_bytes(config)
        written.replace(path)
        # What was served until now stays for this time: the server may still be loading its successor.
        self._remove_all_but(served | self._before)
        self._before = served
        return True

    def _read(self, key: str) -> bytes:
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + key)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise Fault(f"s3://{self._bucket}/{self._prefix}{key}: not there; a first push makes it") from None
            raise
        content: bytes = answer["Body"].read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise Fault(f"{key}: larger than {_MAX_BYTES} bytes")
        return content

    def _copy(self, model: str, version: str) -> None:
        content = self._read(f"{model}/{version}/{MANIFEST}")
        whole = self._folder / f".{model}.{version}.part"
        shutil.rmtree(whole, ignore_errors=True)
        for name, told in json.loads(content)["files"].items():
            path = whole / name
            if pathlib.PurePosixPath(name).is_absolute() or ".." in pathlib.PurePosixPath(name).parts:
                raise Fault(f"{model}/{version}/{MANIFEST}: names {name!r}, which is not below the version")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(self._bucket, f"{self._prefix}{model}/{version}/{name}", str(path))
            with path.open("rb") as file:
                held = hashlib.file_digest(file, "sha256").hexdigest()
            if held != told["sha256"]:
                raise Fault(f"{model}/{version}/{name}: is not what the manifest says")
        (whole / MANIFEST).write_bytes(content)
        (self._folder / model).mkdir(exist_ok=True)
        whole.replace(self._folder / model / version)
        logger.info("%s %s: copied", model, version)

    def _remove_all_but(self, kept: set[tuple[str, str]]) -> None:
        for path in self._folder.glob("*/*"):
            if path.is_dir() and path.name.isdecimal() and (path.parent.name, path.name) not in kept:
                shutil.rmtree(path)
                logger.info("%s %s: removed", path.parent.name, path.name)


def _ended(number: int, _frame: types.FrameType | None) -> None:
    # As first process of a container it would not hear the signal otherwise. What is half copied is begun anew.
    os._exit(128 + number)


def main(words: list[str] | None = None) -> int:
    """The command; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--every", type=float, default=5.0)
    parser.add_argument("store")
    parser.add_argument("folder", type=pathlib.Path)
    args = parser.parse_args(words)
    signal.signal(signal.SIGTERM, _ended)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.getLogger("boto3").setLevel(logging.WARNING)
    try:
        mirror = Mirror(args.store, args.folder)
    except Fault as fault:
        logger.error("%s", fault)
        return 2
    while True:
        try:
            mirror.round()
            if args.once:
                return 0
        except Exception as error:  # whatever it is, the server goes on with what it has
            logger.error("%s: %s; the copy stays as it is", type(error).__name__, error)
        time.sleep(args.every)


if __name__ == "__main__":
    sys.exit(main())
