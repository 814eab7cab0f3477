"""The page of the contract: services, RPCs, messages, enums and errors, with their comments."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from scripts.reference.tables import table

PROTOS = Path(__file__).resolve().parents[2] / "protos"
PACKAGE = "askback.v1"
_MESSAGE, _ENUM, _SERVICE, _SYNTAX = 4, 5, 6, 12
_F = FieldDescriptorProto
_SCALARS = {
    _F.TYPE_DOUBLE: "double",
    _F.TYPE_SFIXED64: "sfixed64",
    _F.TYPE_INT64: "int64",
    _F.TYPE_INT32: "int32",
    _F.TYPE_BOOL: "bool",
    _F.TYPE_STRING: "string",
    _F.TYPE_BYTES: "bytes",
}


class Source:
    """A proto file with its comments."""

    def __init__(self, proto: FileDescriptorProto) -> None:
        self.proto = proto
        self._comments = {
            tuple(place.path): place.leading_comments for place in proto.source_code_info.location
        }

    def comment(self, *path: int) -> str:
        """The comment above an element, without the `//` and the space after it."""
        text = self._comments.get(path, "").rstrip("\n")
        return "\n".join(line.removeprefix(" ") for line in text.splitlines())


def sources() -> list[Source]:
    """The files of the package, in the order of names, with comments. Raises CalledProcessError."""
    names = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "descriptors"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}"]
        command += ["--include_source_info", f"--descriptor_set_out={out}"]
        subprocess.run([*command, *names], check=True)
        files = FileDescriptorSet.FromString(out.read_bytes())
    return [Source(file) for file in files.file if file.package == PACKAGE]


def lines() -> Iterator[str]:
    """The lines of the page."""
    found = sources()
    services = [(s, i, service) for s in found for i, service in enumerate(s.proto.service)]
    yield "# The contract"
    yield ""
    yield (
        f"Package `{PACKAGE}`, from `protos/{PACKAGE.replace('.', '/')}/`. A server describes itself by "
        "reflection, so `grpcurl -plaintext 127.0.0.1:50051 describe` shows the same. What the words mean "
        "is in [concepts](../concepts.md); what to do about an error is in "
        "[troubleshooting](../troubleshooting.md)."
    )
    yield ""
    for _, _, service in services:
        yield f"- [{service.name}](#{service.name.lower()}): " + ", ".join(
            f"[{method.name}](#{method.name.lower()})" for method in service.method
        )
    yield "- [Errors](#errorreason), [messages and enums](#messages-and-enums)"
    yield ""
    yield from _roles(services)
    for source, number, service in services:
        yield from _service(source, number, service)
    yield "## Messages and enums"
    yield ""
    for source in found:
        yield f"### {Path(source.proto.name).name}"
        yield ""
        yield from _paragraphs(source.comment(_SYNTAX))
        for number, enum in enumerate(source.proto.enum_type):
            yield from _enum(source, number, enum)
        for number, message in enumerate(source.proto.message_type):
            yield from _message(source, number, message)


def roles(comment: str) -> dict[str, str]:
    """The roles in a service's comment, in words, by the name of the RPC; `*` for every RPC."""
    if every := re.search(r"Role needed by every RPC: (.+?)\.", comment.replace("\n", " ")):
        return {"*": every.group(1).replace("`", "")}
    by_method: dict[str, str] = {}
    for line in comment.splitlines():
        if row := re.fullmatch(r" {2}(every other RPC|\S+(?:, \S+)*) {2,}(\S.*)", line):
            names = row.group(1).replace("every other RPC", "*").split(", ")
            by_method |= dict.fromkeys(names, row.group(2))
    return by_method


def _roles(services: list[tuple[Source, int, ServiceDescriptorProto]]) -> Iterator[str]:
    yield "## Who may call what"
    yield ""
    yield "`admin` may call everything."
    yield ""
    rows = []
    for source, number, service in services:
        by_method = roles(source.comment(_SERVICE, number))
        for method in service.method:
            may = by_method.get(method.name) or by_method["*"]
            rows.append([service.name, f"[{method.name}](#{method.name.lower()})", may])
    yield from table(["service", "RPC", "role"], rows)


def _service(source: Source, number: int, service: ServiceDescriptorProto) -> Iterator[str]:
    yield f"## {service.name}"
    yield ""
    yield from _paragraphs(source.comment(_SERVICE, number), without_tables=True)
    for index, method in enumerate(service.method):
        asked = "stream of " if method.client_streaming else ""
        given = "stream of " if method.server_streaming else ""
        yield f"### {method.name}"
        yield ""
        yield f"{asked}{_link(method.input_type)} → {given}{_link(method.output_type)}"
        yield ""
        text = source.comment(_SERVICE, number, 2, index)
        yield from _paragraphs(re.sub(r"\s+(Errors:|Further errors)", r"\n\n\1", text))


def _enum(source: Source, number: int, enum: EnumDescriptorProto) -> Iterator[str]:
    yield f"#### {enum.name}"
    yield ""
    yield from _paragraphs(source.comment(_ENUM, number))
    values = [(value, source.comment(_ENUM, number, 2, i)) for i, value in enumerate(enum.value)]
    yield from table(
        ["value", "number", "meaning"],
        [(f"`{value.name}`", str(value.number), comment) for value, comment in values],
    )


def _message(source: Source, number: int, message: DescriptorProto) -> Iterator[str]:
    yield f"#### {message.name}"
    yield ""
    yield from _paragraphs(source.comment(_MESSAGE, number))
    maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    rows = []
    for index, field in enumerate(message.field):
        kind = _type(field, maps)
        meaning = source.comment(_MESSAGE, number, 2, index)
        if field.proto3_optional:
            kind = f"optional {kind}"
        elif field.HasField("oneof_index"):
            kind += f", one of `{message.oneof_decl[field.oneof_index].name}`"
        rows.append((f"`{field.name}`", str(field.number), kind, meaning))
    if rows:
        yield from table(["field", "number", "type", "meaning"], rows)


def _type(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> str:
    if (entry := maps.get(field.type_name.rpartition(".")[2])) is not None:
        key, value = entry.field
        return f"map of {_type(key, {})} to {_type(value, {})}"
    kind = _link(field.type_name) if field.type_name else _SCALARS[field.type]
    return f"repeated {kind}" if field.label == _F.LABEL_REPEATED else kind


def _link(full_name: str) -> str:
    package, _, name = full_name.removeprefix(".").rpartition(".")
    return f"[{name}](#{name.lower()})" if package == PACKAGE else f"`{package}.{name}`"


def _paragraphs(text: str, *, without_tables: bool = False) -> Iterator[str]:
    """A comment as Markdown; `without_tables` omits the roles, which have a separate table."""
    for paragraph in text.split("\n\n"):
        table_of_roles = re.match(r" {2}\S", paragraph) or paragraph.startswith("Role needed, by RPC")
        if without_tables and table_of_roles:
            continue
        if paragraph.strip():
            yield " ".join(paragraph.split())
            yield ""
