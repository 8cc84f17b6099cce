"""What only pages need of datasets: lists, images, and a look at images before a dataset is built of them."""
