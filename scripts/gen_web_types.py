"""Generate client/web/src/wire/messages.ts, the contract's types as ProtoJSON, or check it.

In: the descriptors of askback.v1; with --check also the committed file. Out: one TypeScript interface for
each message, one union for each enum, and the request and response of each unary call. With --check nothing
is written, and exit status 1 says that the file is stale.

ProtoJSON: names in lowerCamelCase, fields without a value left out, 64-bit integers and times as text, enums
by name. The types have no code, so they add no byte to the page.
"""

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "client" / "web" / "src" / "wire" / "messages.ts"
PACKAGE = "askback.v1"

_HEAD = """\
// Generated from protos/askback/v1 by scripts/gen_web_types.py. Do not edit.
//
// The messages of the contract as ProtoJSON. A field without a value is left out, so every field is optional.
// 64-bit integers are text: compare them with BigInt. A newer server may send names of enum values that are
// not in these unions, and fields that are not in these interfaces.
"""

# What ProtoJSON makes of a scalar. A double is text where it is no number ("NaN", "Infinity").
_SCALARS = {
    FieldDescriptor.TYPE_BOOL: "boolean",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "string",
    FieldDescriptor.TYPE_INT32: "number",
    FieldDescriptor.TYPE_UINT32: "number",
    FieldDescriptor.TYPE_INT64: "string",
    FieldDescriptor.TYPE_UINT64: "string",
    FieldDescriptor.TYPE_SFIXED64: "string",
    FieldDescriptor.TYPE_DOUBLE: "number | string",
}

_WELL_KNOWN = {
    "google.protobuf.Timestamp": "Timestamp",
    "google.protobuf.Duration": "Duration",
    "google.protobuf.FieldMask": "string",
}

_ALIASES = """\
/** RFC 3339, for example "2026-11-29T13:40:00.123Z". */
export type Timestamp = string;

/** Seconds, for example "3.5s". */
export type Duration = string;
"""


def _files() -> list[FileDescriptor]:
    names = sorted(path.stem for path in (ROOT / "protos" / "askback" / "v1").glob("*.proto"))
    return [importlib.import_module(f"{PACKAGE}.{name}_pb2").DESCRIPTOR for name in names]


def _name(kind: Descriptor | EnumDescriptor) -> str:
    """The TypeScript name of a message or enum of the package; of a nested one with its parent's name."""
    return kind.full_name.removeprefix(f"{PACKAGE}.").replace(".", "_")


def _value(field: FieldDescriptor) -> str:
    if field.enum_type is not None:
        return _name(field.enum_type)
    if field.message_type is None:
        return _SCALARS[field.type]
    return _WELL_KNOWN.get(field.message_type.full_name) or _name(field.message_type)


def _type(field: FieldDescriptor) -> str:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        return f"{{ readonly [key: string]: {_value(entry.fields_by_name['value'])} }}"
    return f"readonly {_value(field)}[]" if field.is_repeated else _value(field)


def _message(message: Descriptor) -> Iterator[str]:
    if message.GetOptions().map_entry:
        return
    yield f"export interface {_name(message)} {{"
    yield from (f"  readonly {field.json_name}?: {_type(field)};" for field in message.fields)
    yield "}"
    yield ""
    for enum in message.enum_types:
        yield from _enum(enum)
    for nested in message.nested_types:
        yield from _message(nested)


def _enum(enum: EnumDescriptor) -> Iterator[str]:
    yield f"export type {_name(enum)} ="
    yield from (f'  | "{value.name}"' for value in enum.values)
    yield from (";", "")


def _methods(files: list[FileDescriptor]) -> Iterator[str]:
    yield "/** The request and response of each unary call, by service and method. */"
    yield "export interface Methods {"
    for file in files:
        for service in file.services_by_name.values():
            for method in service.methods:
                if method.client_streaming or method.server_streaming:
                    continue
                types = f"request: {_name(method.input_type)}; response: {_name(method.output_type)}"
                yield f'  "{service.name}/{method.name}": {{ {types} }};'
    yield "}"


def render() -> str:
    """The whole file."""
    files = _files()
    lines = [_HEAD, _ALIASES]
    for file in files:
        for enum in file.enum_types_by_name.values():
            lines += _enum(enum)
        for message in file.message_types_by_name.values():
            lines += _message(message)
    return "\n".join([*lines, *_methods(files)]).replace("\n;\n", ";\n") + "\n"


def main() -> None:
    """Generate the file; with --check compare instead of writing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is stale")
    check = parser.parse_args().check
    fresh = render()
    present = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    if fresh == present:
        return
    if check:
        sys.exit(f"{FILE.relative_to(ROOT)} is stale, run scripts/gen_web_types.py")
    FILE.write_text(fresh, encoding="utf-8")
    print(FILE.relative_to(ROOT), "written")


if __name__ == "__main__":
    main()
