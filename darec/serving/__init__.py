"""A winner in use: its folder, predictions, recommendations, and the services around them."""
