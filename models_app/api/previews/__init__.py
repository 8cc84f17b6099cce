"""The routes of the previews of augmentation."""
