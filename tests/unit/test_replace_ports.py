"""The ports of documented configurations are replaced by those of a test."""

from __future__ import annotations

from tests.support.proxies import replace_ports


def test_a_replaced_port_is_not_replaced_again() -> None:
    """28083 has 8083 in it: nginx was given port 226153 in one run of CI."""
    ports = {8081: 28083, 8082: 8081, 8083: 26153}
    text = "listen 127.0.0.1:8081; server b:8082; server c:8083; timeout 80810;"
    assert replace_ports(text, ports) == (
        "listen 127.0.0.1:28083; server b:8081; server c:26153; timeout 80810;"
    )
