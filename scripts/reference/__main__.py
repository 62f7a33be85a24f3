"""``python -m scripts.reference``: write every page."""

from scripts.reference.rendering import FOLDER, render_pages

for name, text in render_pages().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
