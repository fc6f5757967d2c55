"""Reads the records in a `.wandb` file, which W&B writes where it is offline, and which `wandb sync` sends."""

import json
import struct

HEADER, BLOCK = 7, 32768
"""Bytes of the file's header, and of a block; the first block begins with the file's header."""
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def records(path):
    """Yield the bytes of each record: LevelDB's log format, whose records may be in pieces of several blocks."""
    data = path.read_bytes()
    assert data[:4] == b":W&B", data[:4]
    place, whole = HEADER, b""
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:  # too short for a piece's header: filled with zeros
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (_FULL, _LAST):
            yield whole
            whole = b""


def logged(path):
    """Return the rows of `wandb.log`, the configuration, and the names of artifacts."""
    from wandb.proto import wandb_internal_pb2

    rows, config, artifacts = [], {}, []
    for content in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            rows.append({_key(item): json.loads(item.value_json) for item in record.history.item})
        elif kind == "run":
            config |= {_key(item): json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "config":
            config |= {_key(item): json.loads(item.value_json) for item in record.config.update}
        elif kind == "artifact":
            artifacts.append(record.artifact.name)
    return rows, config, artifacts


def _key(item):
    return item.key or "/".join(item.nested_key)
