"""From what is asked for to what is: commands judged, plans made, plans carried out."""
