"""Pictures as SVG, and the numbers behind each as a file."""
