"""Serializers of the responses about the map of a dataset's images, for the schema."""

from rest_framework import serializers


class MapPoints(serializers.Serializer):
    """The facts of the images, a list each: value i of each list is of image i."""

    x = serializers.ListField(child=serializers.FloatField(), help_text="-1 to 1.")
    y = serializers.ListField(child=serializers.FloatField(), help_text="-1 to 1.")
    split = serializers.ListField(child=serializers.IntegerField(), help_text="Its number in `splits`.")
    record = serializers.ListField(child=serializers.IntegerField(), help_text="In its split, from 0.")
    category = serializers.ListField(
        child=serializers.IntegerField(), help_text="Its number in `categories`; empty without categories."
    )
    likelier = serializers.ListField(
        child=serializers.IntegerField(),
        help_text="The category that a classifier gives which has not seen the image; empty if there was none.",
    )
    probability = serializers.ListField(child=serializers.FloatField(), help_text="Of that category.")


class MapFacts(serializers.Serializer):
    """The map of a dataset's images: similar ones lie together."""

    dataset_id = serializers.CharField()
    images = serializers.IntegerField(help_text="How many there are, of the category or of all.")
    shown = serializers.IntegerField(help_text="How many of them `points` has.")
    splits = serializers.ListField(child=serializers.CharField())
    categories = serializers.ListField(child=serializers.CharField())
    points = MapPoints()


class MappedImage(serializers.Serializer):
    """An image of a dataset."""

    split = serializers.CharField()
    record = serializers.IntegerField(help_text="The number of its record in the split, from 0.")
    category = serializers.CharField(allow_blank=True, help_text="Empty for a generic dataset.")


class SimilarImage(MappedImage):
    """An image that resembles the one of the query."""

    similarity = serializers.FloatField(help_text="The cosine of both images' features: 1 for copies, 0 for strangers.")
    other_category = serializers.BooleanField(help_text="Its category is another one: one of both may be wrong.")
    other_split = serializers.BooleanField(help_text="Its split is another one; a copy there is a leak.")


class SimilarFacts(serializers.Serializer):
    """An image, and those that resemble it the most, the most similar first."""

    dataset_id = serializers.CharField()
    image = MappedImage()
    similar = SimilarImage(many=True)
