"""The processor that a run computes on."""

import tensorflow as tf


def prepare() -> str:
    """Readies TensorFlow, and says what it will compute on.

    All operations are deterministic: with the same seed, the same releases and as many threads, a run gives the same
    bits on the same kind of machine. On a CPU that costs no time that could be measured.

    On a GPU, memory is taken as it is needed, and multiplications keep all digits of their numbers: the shorter
    ones that newer GPUs use by default would make a model differ from its own reloaded copy by more than rounding.

    Returns:
        The name of the first GPU, or "the CPU".
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.experimental.enable_op_determinism()
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        return "the CPU"
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "a GPU"))


def precision() -> str:
    """The Keras policy to train with: 16-bit numbers on a GPU that is fast with them (Ampere and later), else 32."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    fast = bool(details) and all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
    return "mixed_bfloat16" if fast else "float32"
