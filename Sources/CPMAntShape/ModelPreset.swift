/// The published sizes of CPM-Ant, to plan with before anything is downloaded.
///
/// - Source: CPM-Ant reference, sections 1.1 and 1.2. The sizes of the pruned models come from the pruning tool's own
///   configurations, those of the 7B from the 3B that was cut from it.
public enum ModelPreset: String, Sendable, CaseIterable {
    case cpmAnt10B = "cpm-ant-10b"
    case cpmAntPlus10B = "cpm-ant-plus-10b"
    case cpmAnt7B = "cpm-ant-7b"
    case cpmAnt3B = "cpm-ant-3b"
    case cpmAnt1B = "cpm-ant-1b"
    case cpmAnt300M = "cpm-ant-300m"
    /// A model of a few hundred kilobytes, for tests.
    case tiny

    public var configuration: ModelConfiguration {
        switch self {
        case .cpmAnt10B: Self.ant(numHeads: 32, dimFF: 10240, layers: Self.all(48))
        case .cpmAntPlus10B: Self.ant(vocabSize: 86579, numHeads: 32, dimFF: 10240, layers: Self.all(48))
        case .cpmAnt7B: Self.ant(numHeads: 32, dimFF: 10240, layers: Self.twoThirds)
        case .cpmAnt3B: Self.ant(numHeads: 20, dimFF: 3735, layers: Self.twoThirds)
        case .cpmAnt1B: Self.ant(numHeads: 16, dimFF: 700, layers: Self.half)
        case .cpmAnt300M: Self.ant(numHeads: 4, dimFF: 350, layers: Self.half)
        case .tiny:
            ModelConfiguration(
                vocabSize: 512, dimModel: 64, numHeads: 4, dimHead: 16, dimFF: 160, layers: Self.all(2))
        }
    }

    private static func ant(
        vocabSize: Int = 30720, numHeads: Int, dimFF: Int, layers: [ModelConfiguration.Layer]
    ) -> ModelConfiguration {
        ModelConfiguration(
            vocabSize: vocabSize, dimModel: 4096, numHeads: numHeads, dimHead: 128, dimFF: dimFF, layers: layers)
    }

    private static func all(_ count: Int) -> [ModelConfiguration.Layer] {
        Array(repeating: ModelConfiguration.Layer(hasAttention: true, hasFeedForward: true), count: count)
    }

    /// Half layers of the 7B and the 3B: 37 attentions and 32 feed-forwards.
    private static let twoThirds = layers(
        attention: [
            0...12, 14...14, 16...18, 20...24, 26...27, 29...31, 33...33, 36...37, 39...42, 44...44, 46...47,
        ],
        feedForward: [
            0...1, 5...5, 7...12, 15...20, 22...24, 27...29, 31...32, 36...40, 42...42, 44...45, 47...47,
        ])

    /// Half layers of the 1B and the 300M: 25 attentions and 21 feed-forwards.
    private static let half = layers(
        attention: [
            0...2, 4...9, 11...12, 16...16, 18...18, 20...20, 23...24, 27...27, 29...31, 33...33, 36...36, 39...40,
            42...42,
        ],
        feedForward: [
            0...0, 5...5, 7...7, 9...9, 11...11, 16...18, 20...20, 22...22, 24...24, 27...28, 31...31, 36...37, 39...40,
            44...45, 47...47,
        ])

    private static func layers(
        attention: [ClosedRange<Int>], feedForward: [ClosedRange<Int>]
    ) -> [ModelConfiguration.Layer] {
        (0..<48).map { layer in
            ModelConfiguration.Layer(
                hasAttention: attention.contains { $0.contains(layer) },
                hasFeedForward: feedForward.contains { $0.contains(layer) })
        }
    }
}
