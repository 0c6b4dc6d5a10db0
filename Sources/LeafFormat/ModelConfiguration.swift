/// The numbers that fix a CPM-Ant model's shape, named as in its JSON files.
public struct ModelConfiguration: Sendable, Equatable {
    /// Which half layers exist. A pruned model lacks some.
    public struct Layer: Sendable, Equatable {
        public var hasAttention: Bool
        public var hasFeedForward: Bool
        public init(hasAttention: Bool, hasFeedForward: Bool) {
            self.hasAttention = hasAttention
            self.hasFeedForward = hasFeedForward
        }
    }

    public var vocabSize: Int
    public var dimModel: Int
    public var numHeads: Int
    public var dimHead: Int
    public var dimFF: Int
    /// One entry a layer slot, whether or not anything of it is left.
    public var layers: [Layer]
    public var positionBiasNumBuckets: Int
    public var positionBiasMaxDistance: Int
    public var eps: Float
    public var promptTypes: Int
    /// Tokens of one soft prompt.
    public var promptLength: Int
    public var segmentTypes: Int
    /// Whether `1/sqrt(fan-in)` is already inside float weights (transformers' form). CPM-Live divides at run
    /// time: then a float matrix is multiplied by `1/sqrt(columns)`, and embeddings by `1/sqrt(dimModel)`.
    /// Int8 row scales always contain it.
    public var isScaleFolded: Bool

    public init(
        vocabSize: Int, dimModel: Int, numHeads: Int, dimHead: Int, dimFF: Int, layers: [Layer],
        positionBiasNumBuckets: Int = 512, positionBiasMaxDistance: Int = 2048, eps: Float = 1e-6,
        promptTypes: Int = 32, promptLength: Int = 32, segmentTypes: Int = 32, isScaleFolded: Bool = false
    ) {
        self.vocabSize = vocabSize
        self.dimModel = dimModel
        self.numHeads = numHeads
        self.dimHead = dimHead
        self.dimFF = dimFF
        self.layers = layers
        self.positionBiasNumBuckets = positionBiasNumBuckets
        self.positionBiasMaxDistance = positionBiasMaxDistance
        self.eps = eps
        self.promptTypes = promptTypes
        self.promptLength = promptLength
        self.segmentTypes = segmentTypes
        self.isScaleFolded = isScaleFolded
    }

    /// Width of the concatenated heads; not always `dimModel`.
    public var dimAttention: Int { numHeads * dimHead }
    /// Rows of the relative position bias: distances, then segment pairs.
    public var positionBiasRows: Int { positionBiasNumBuckets + segmentTypes * segmentTypes }
    public var promptRows: Int { promptTypes * promptLength }
}
