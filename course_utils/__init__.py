"""Helpers of the course *Pretrained Models, Hands-On*: ``import course_utils as cu``.

Each name is loaded from its module when it is first used, so the import itself costs nothing and starts nothing.
"""

from importlib import import_module

_MODULES = {
    "runtime": ["Runtime", "setup"],
    "checkpoints": ["checkpoint", "vision_model"],
    "datasets": ["Reviews", "Split", "load_cifar10", "load_pokemon", "load_reviews", "tokenize"],
    "pictures": ["PictureError", "PictureSplits", "Pictures", "load_folder", "read_picture"],
    "drawings": ["creatures"],
    "transfer": ["count_parameters", "embed", "freeze", "parameter_groups", "replace_head", "unfreeze"],
    "training": ["History", "Metrics", "evaluate", "fit", "predict"],
    "plots": ["plot_confusion", "plot_pictures", "plot_scores", "plot_scores_by", "use_course_style"],
    "widgets": ["flip_through", "try_it"],
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = [*_MODULES, *_HOME]


def __getattr__(name: str):
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"course_utils has no {name!r}; it has {', '.join(sorted(_HOME))}")


def __dir__():
    return __all__
