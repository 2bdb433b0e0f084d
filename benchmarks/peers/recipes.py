"""What the four recipes set: the published configurations that this project's presets of the same recipe hold too."""

from dataclasses import dataclass

WIDTHS = {"vit_tiny": (192, 3), "vit_small": (384, 6), "vit_base": (768, 12)}
DEPTH, PATCH, GRID = 12, 16, 14

HEAD_HIDDEN, HEAD_WIDTH = 2048, 256
STUDENT_TEMPERATURE, TEACHER_TEMPERATURE, CENTER_MOMENTUM = 0.1, 0.04, 0.9
CODING_RATE_EPS, KOLEO_WEIGHT = 0.05, 0.1

CLIP_NORM, WEIGHT_DECAY, LEARNING_RATE = 3.0, 0.04, 5e-4
LAYER_DECAY, PATCH_EMBED_MULTIPLIER = 0.9, 0.2
MASK_PROBABILITY, MASK_RATIO = 0.5, (0.1, 0.5)


@dataclass(frozen=True)
class Recipe:
    """What sets a recipe apart; defaults are those of SimDINO."""

    generation: int
    drop_path: float
    momentum: float
    layer_scale: float | None = None
    registers: int = 0
    antialias: bool = False
    prototypes: int | None = None
    trained_norms: bool = False

    @property
    def masked(self):
        return self.generation == 2


RECIPES = {
    "simdino": Recipe(generation=1, drop_path=0.1, momentum=0.996),
    "dino": Recipe(generation=1, drop_path=0.1, momentum=0.996, prototypes=65_536),
    "dinov2": Recipe(
        generation=2, drop_path=0.3, momentum=0.992, layer_scale=1e-5, prototypes=65_536, trained_norms=True
    ),
    "simdinov2": Recipe(generation=2, drop_path=0.2, momentum=0.9, layer_scale=0.1, registers=4, antialias=True),
}
