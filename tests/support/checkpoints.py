"""Writes checkpoints by hand, opcode by opcode, in the layouts of torch's two formats."""

import pickle
import struct
import zipfile

import numpy as np

STORAGES = {
    "f4": "Float",
    "f8": "Double",
    "f2": "Half",
    "u2": "BFloat16",
    "i8": "Long",
    "u1": "Byte",
    "b1": "Bool",
}


class Raw(bytes):
    """Opcodes that leave one value."""


def encode(value):
    """Opcodes of a plain value, in protocol 2 with protocol 3's bytes."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        data = value.to_bytes(12, "little", signed=True)
        return b"\x8a" + bytes([len(data)]) + data
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return b"B" + struct.pack("<I", len(value)) + value
    if isinstance(value, dict):
        return b"(" + b"".join(encode(k) + encode(v) for k, v in value.items()) + b"d"
    return b"(" + b"".join(map(encode, value)) + {tuple: b"t", list: b"l"}[type(value)]


def named(name):
    module, _, last = name.rpartition(".")
    return Raw(f"c{module}\n{last}\n".encode())


def call(name, *arguments):
    return Raw(named(name) + encode(arguments) + b"R")


def dump(value):
    return b"\x80\x02" + encode(value) + b"."


def storage(key, kind, count, *view):
    return Raw(encode(("storage", named(f"torch.{STORAGES[kind]}Storage"), key, "cpu", count, *view)) + b"Q")


def tensor(source, offset, shape, strides):
    hooks = call("collections.OrderedDict")
    return call("torch._utils._rebuild_tensor_v2", source, offset, shape, strides, False, hooks)


def whole(key, array, *view):
    """A tensor that has the storage `key` to itself, in C order."""
    strides = tuple(step // array.itemsize for step in np.empty(array.shape, array.dtype).strides)
    return tensor(storage(key, array.dtype.str[1:], array.size, *view), 0, array.shape, strides)


def state_dict(entries):
    """An OrderedDict with torch's attribute `_metadata`."""
    items = b"(" + b"".join(encode(k) + encode(v) for k, v in entries.items()) + b"u"
    return Raw(call("collections.OrderedDict") + items + encode({"_metadata": {"": {"version": 1}}}) + b"b")


def write_zip(path, value, storages, order="<", compression=zipfile.ZIP_STORED, byteorder=True):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(
            "archive/data.pkl", value if isinstance(value, bytes) and value[:1] == b"\x80" else dump(value)
        )
        if byteorder:
            archive.writestr("archive/byteorder", {"<": "little", ">": "big"}[order])
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.astype(array.dtype.newbyteorder(order)).tobytes())
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(path, value, storages, little_endian=True):
    sizes = {"short": 2, "int": 4, "long": 4}
    machine = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": sizes}
    heads = [0x1950A86A20F9469CFC6C, 1001, machine]
    with open(path, "wb") as file:
        for head in heads:
            file.write(pickle.dumps(head, 2))
        file.write(dump(value))
        file.write(pickle.dumps(list(storages), 2))
        for array in storages.values():
            file.write(struct.pack("<q", array.size) + array.astype(array.dtype.newbyteorder("<")).tobytes())
    return path


def write_view(path, array, view):
    """A legacy file whose tensor lies in a view of its storage, as torch before 1.2 could write it."""
    _, _, count = view
    source = storage("0", array.dtype.str[1:], array.size, view)
    return write_legacy(path, {"view": tensor(source, 0, (count,), (1,))}, {"0": array})
