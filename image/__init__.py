"""What the image of the bridge is made with."""
