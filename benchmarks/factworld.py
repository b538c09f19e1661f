"""Methods on the embedded world, scored on every probe.

Edits facts one at a time, restores after each, and prints means with 95 % bootstrap intervals over facts, both
teacher-forced and generated. Methods of this package and of EasyEdit run by the same loop.

    python benchmarks/factworld.py --methods ICE-LoRA LoRA-BF FT ROME --facts 200 --out benchmarks/results/factworld.json
"""
