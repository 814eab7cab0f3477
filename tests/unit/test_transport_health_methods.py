"""The descriptor of the health service is grpcio-health-checking's, and newer versions add methods."""

from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2

from askback_server.transport.health import Health
from askback_server.transport.server import _handlers


def test_a_newer_health_service_is_served_without_its_new_methods() -> None:
    """grpcio-health-checking 1.85 adds `List`, which we do not serve. The server must still start."""
    file = descriptor_pb2.FileDescriptorProto()
    health_pb2.DESCRIPTOR.CopyToProto(file)
    (service,) = file.service
    service.method.add(
        name="Newer", input_type=service.method[0].input_type, output_type=service.method[0].output_type
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    newer = pool.FindServiceByName("grpc.health.v1.Health")
    assert "Newer" in [method.name for method in newer.methods]
    assert sorted(_handlers(newer, Health(), some=True)) == ["Check", "Watch"]
