"""What the pictures of the report show, one leaf file a picture: pure functions of what is stored."""
