"""Networks: encoders and decoders for vectors and images of any size; they make numbers and know no distribution."""

from ..core.renamed import old_attributes as _old_attributes
from .autoencoder_kl import AutoencoderKLDecoder as AutoencoderKLDecoder
from .autoencoder_kl import AutoencoderKLEncoder as AutoencoderKLEncoder
from .causal import MaskedNet as MaskedNet
from .causal import PixelNet as PixelNet
from .conv import ConvDecoder as ConvDecoder
from .conv import ConvEncoder as ConvEncoder
from .deep import ConvBlocks as ConvBlocks
from .deep import DeepBlocks as DeepBlocks
from .deep import FeatureMap as FeatureMap
from .deep import MLPBlocks as MLPBlocks
from .hybrid import HybridEncoder as HybridEncoder
from .hybrid import NarrowEncoder as NarrowEncoder
from .inputs import DataInitialised as DataInitialised
from .inputs import Decoder as Decoder
from .inputs import Encoder as Encoder
from .inputs import Standardise as Standardise
from .items import ItemDecoder as ItemDecoder
from .layers import ACTIVATIONS as ACTIVATIONS
from .layers import initialise_weights as initialise_weights
from .levels import LevelFeatures as LevelFeatures
from .mlp import MLPDecoder as MLPDecoder
from .mlp import MLPEncoder as MLPEncoder
from .modalities import ModalEncoder as ModalEncoder
from .precision import native_bf16 as native_bf16
from .precision import using_precision as using_precision
from .products import Linear as Linear
from .profile import ProfileEncoder as ProfileEncoder
from .recurrent import Recurrent as Recurrent
from .spatial import MapEncoder as MapEncoder
from .spatial import SpatialDecoder as SpatialDecoder
from .spatial import SpatialEncoder as SpatialEncoder
from .statistics import Statistics as Statistics
from .table import TableEncoder as TableEncoder
from .temporal import TemporalDecoder as TemporalDecoder
from .temporal import TemporalEncoder as TemporalEncoder
from .topics import TopicDecoder as TopicDecoder
from .unet import UNetField as UNetField
from .unet import VelocityNet as VelocityNet
from .volumes import VolumeDecoder as VolumeDecoder
from .volumes import VolumeEncoder as VolumeEncoder
from .waves import WaveDecoder as WaveDecoder
from .waves import WaveEncoder as WaveEncoder

__getattr__ = _old_attributes(__name__, {"Levels": "LevelFeatures"})
