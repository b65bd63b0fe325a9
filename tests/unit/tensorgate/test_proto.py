"""The typed API's proto says where other languages put the code that they make of it."""

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from tensorgate.v1 import tensorgate_pb2


def test_generated_code_has_a_place_in_every_language() -> None:
    described = FileDescriptorProto()
    tensorgate_pb2.DESCRIPTOR.CopyToProto(described)
    options = described.options
    assert options.go_package == "tensorgate/v1;tensorgatev1"  # protoc-gen-go refuses a file without one
    assert (options.java_package, options.java_multiple_files) == ("com.tensorgate.v1", True)
    assert options.java_outer_classname not in tensorgate_pb2.DESCRIPTOR.message_types_by_name
    assert options.csharp_namespace == "Tensorgate.V1"
