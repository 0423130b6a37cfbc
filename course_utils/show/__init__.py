"""What a chapter shows: figures in one style, and widgets that work in the static page too."""
