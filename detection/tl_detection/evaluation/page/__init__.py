"""An evaluation as one HTML file: what it shows, the choice of worst cases, their pictures, and the file itself."""
