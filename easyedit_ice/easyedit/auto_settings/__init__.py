"""Settings of EasyEdit's methods for a model without a preset, made from the model's shape.

Each number is that of EasyEdit's own preset for the published model that is most like the one at hand: GPT-2 XL where
weights are stored (in, out), Llama 2 7B (or what stands for it there) where the MLP has a gate, GPT-J 6B elsewhere. A
number that belongs to that model is carried over by a rule:

- Paths of modules are read from the model's modules.
- A layer keeps its relative depth, ``layer / (depth - 1)``, rounded; of a band of layers each is carried over, and
  those that fall together are one. Values are sought under the loss at the last block.
- ``mom2_update_weight``, and EMMET's, keep their ratio to the inputs of the projection: the mean of kᵀC⁻¹k over text is
  that number, and a fact's share of the solution depends on the ratio of the two.
- Second moments are measured by this package on ten tokens for each input (``mom2_dataset: auto``,
  ``mom2_n_samples`` tokens), once for each model and layer, since EasyEdit's are collected from a download.
- IKE's encoder of sentences is made of the model, for the same reason.

What only one of the two EasyEdits knows is among them; it is left out for the other.
"""
