"""Settings that make ICE-LoRA quick on a tiny model."""

FEW_TEXTS = {
    "num_contexts": 2,
    "continuation_samples": 2,
    "continuation_length": 3,
    "free_samples": 2,
    "free_length": 4,
    "locality_samples": 4,
    "locality_length": 6,
}
