"""What a built dataset holds, for pages: its images, and how many each category and split has."""
