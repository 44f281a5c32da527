"""From wishes to instances: commands judged, plans made, plans carried out."""
