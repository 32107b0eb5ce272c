"""Tables in place of images: susceptibility samples and a catalogue of landslides."""
