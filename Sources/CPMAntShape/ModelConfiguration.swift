/// The sizes of a CPM-Ant model, with the names of its JSON files.
public struct ModelConfiguration: Sendable, Equatable {
    /// One layer. Pruning may have removed half layers, or parts of them.
    public struct Layer: Sendable, Equatable {
        public var hasAttention: Bool
        public var hasFeedForward: Bool
        /// The remaining heads, ascending, as columns of the position bias, which all layers share. Nil for all heads.
        public var heads: [Int]?
        /// The layer's own size; nil if it is the model's.
        public var dimHead: Int?
        /// The layer's own size; nil if it is the model's.
        public var dimFF: Int?

        public init(
            hasAttention: Bool, hasFeedForward: Bool, heads: [Int]? = nil, dimHead: Int? = nil, dimFF: Int? = nil
        ) {
            self.hasAttention = hasAttention
            self.hasFeedForward = hasFeedForward
            self.heads = heads
            self.dimHead = dimHead
            self.dimFF = dimFF
        }

        /// Whether the layer has the model's sizes.
        var isWhole: Bool { heads == nil && dimHead == nil && dimFF == nil }
    }

    public var vocabSize: Int
    public var dimModel: Int
    /// Columns of the position bias. A pruned layer may have fewer heads, but not more.
    public var numHeads: Int
    public var dimHead: Int
    public var dimFF: Int
    /// One entry for each layer number, even if nothing of the layer remains.
    public var layers: [Layer]
    public var positionBiasNumBuckets: Int
    public var positionBiasMaxDistance: Int
    public var eps: Float
    public var promptTypes: Int
    /// Rows of one soft prompt.
    public var promptLength: Int
    public var segmentTypes: Int
    /// Whether float weights contain `1/sqrt(fan-in)` already (transformers' form). CPM-Live divides at run time: a
    /// float matrix is then multiplied by `1/sqrt(columns)`, and embeddings by `1/sqrt(dimModel)`. Int8 scales always
    /// contain it.
    public var isScaleFolded: Bool
    /// Whether the output projection is a matrix of its own, as transformers 5.23 and later may train it, in place of
    /// the token table.
    public var hasOwnHead: Bool

    public init(
        vocabSize: Int, dimModel: Int, numHeads: Int, dimHead: Int, dimFF: Int, layers: [Layer],
        positionBiasNumBuckets: Int = 512, positionBiasMaxDistance: Int = 2048, eps: Float = 1e-6,
        promptTypes: Int = 32, promptLength: Int = 32, segmentTypes: Int = 32, isScaleFolded: Bool = false,
        hasOwnHead: Bool = false
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
        self.hasOwnHead = hasOwnHead
    }

    /// The width of the concatenated heads, which may differ from `dimModel`.
    public var dimAttention: Int { numHeads * dimHead }
    /// Whether all layers have the model's sizes.
    public var isUniform: Bool { layers.allSatisfy(\.isWhole) }
    /// Rows of the relative position bias: first distances, then pairs of segments.
    public var positionBiasRows: Int { positionBiasNumBuckets + segmentTypes * segmentTypes }
    public var promptRows: Int { promptTypes * promptLength }

    // MARK: Sizes of one layer

    public func numHeads(ofLayer layer: Int) -> Int { layers[layer].heads?.count ?? numHeads }
    public func dimHead(ofLayer layer: Int) -> Int { layers[layer].dimHead ?? dimHead }
    public func dimAttention(ofLayer layer: Int) -> Int { numHeads(ofLayer: layer) * dimHead(ofLayer: layer) }
    public func dimFF(ofLayer layer: Int) -> Int { layers[layer].dimFF ?? dimFF }
    /// The layers that have attention. Only these have keys and values.
    public var attentionLayers: [Int] { layers.indices.filter { layers[$0].hasAttention } }
}
