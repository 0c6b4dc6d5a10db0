package import CPMAntShape
package import LeafExecutor
import LeafFormat

extension CPMAntFile {
    /// What the executor plans its buffers from.
    package var facts: ModelFacts {
        var attentions: [ModelFacts.Attention] = []
        var upProjections: [Int] = []
        var feedForwardWidth = 0
        for (index, kind) in shape.kinds.enumerated() {
            switch kind {
            case .attention(let layer):
                let heads = configuration.numHeads(ofLayer: layer)
                attentions.append(
                    ModelFacts.Attention(
                        block: index, queryHeads: heads, keyHeads: heads,
                        dimHead: configuration.dimHead(ofLayer: layer)))
            case .feedForward(let layer):
                feedForwardWidth = max(feedForwardWidth, configuration.dimFF(ofLayer: layer))
                upProjections.append(leaf.blocks[index].matrices.lowerBound + 1)
            case .head, .tokenTable: break
            }
        }
        return ModelFacts(
            vocabSize: configuration.vocabSize, dModel: configuration.dimModel,
            softPromptRows: configuration.promptRows, attentions: attentions, feedForwardWidth: feedForwardWidth,
            upProjections: upProjections, tokenTable: leaf.matrices.count - 1,
            outputBlock: leaf.blocks.count - (configuration.hasOwnHead ? 2 : 1))
    }
}
