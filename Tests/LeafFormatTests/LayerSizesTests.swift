import CPMAntShape
import GoldenSupport
import LeafFormat
import LeafSystem
import Testing

@Suite("sizes by layer") struct LayerSizesTests {
    private static var pruned: ModelConfiguration {
        var configuration = SmallModel.configuration
        configuration.layers[0].heads = [1]
        configuration.layers[0].dimFF = 33
        configuration.layers[2].dimHead = 7
        return configuration
    }

    @Test func theHeaderHoldsThem() throws {
        let directory = try TemporaryDirectory()
        var model = SmallModel()
        model.contents.shape = ModelShape(Self.pruned, weights: .int8).file
        let file = try model.write(to: directory.path("m.leaf"))
        #expect(file.configuration == Self.pruned)
        #expect(file.metadata["version"] == "2")
        func shape(_ name: String) -> [Int]? {
            file.matrices.first { $0.name == name }.map { [$0.outputs, $0.columns] }
        }
        #expect(shape(TensorName.attentionMatrices(layer: 0)[0]) == [24, 80])
        #expect(shape(TensorName.attentionMatrices(layer: 2)[3]) == [80, 14])
        #expect(shape(TensorName.feedForwardMatrices(layer: 0)[2]) == [80, 33])
        #expect(shape(TensorName.feedForwardMatrices(layer: 1)[2]) == [80, 100])
        try file.verify()
    }

    @Test func aModelOfEqualLayersSaysNothingOfThem() throws {
        let configuration = SmallModel.configuration
        #expect(!configuration.json.contains("layer_sizes"))
        #expect(try ModelConfiguration(json: configuration.json, source: "m") == configuration)
    }

    @Test(arguments: [
        ("{\"heads\":[1],\"dim_ff\":33}", "{\"heads\":[2],\"dim_ff\":33}", "the heads of layer 0 are [2], of 2"),
        ("{\"heads\":[1],\"dim_ff\":33}", "{\"heads\":[1,0],\"dim_ff\":33}", "the heads of layer 0 are [1, 0]"),
        ("{\"heads\":[1],\"dim_ff\":33}", "{\"heads\":[0,0],\"dim_ff\":33}", "the heads of layer 0 are [0, 0]"),
        ("{\"heads\":[1],\"dim_ff\":33}", "{\"heads\":[],\"dim_ff\":33}", "heads of layer 0 is 0"),
        ("{\"heads\":[1],\"dim_ff\":33}", "{\"heads\":[0,1,2],\"dim_ff\":33}", "heads of layer 0 is 3"),
        ("\"dim_ff\":33", "\"dim_ff\":101", "dim_ff of layer 0 is 101"),
        ("\"dim_head\":7", "\"dim_head\":0", "dim_head of layer 2 is 0"),
        (",{\"dim_head\":7}", "", "layer_sizes does not have one entry"),
        ("{\"dim_head\":7}", "7", "is damaged"),
    ])
    func wrongOnesAreRefused(old: String, new: String, reason: String) {
        let json = Self.pruned.json
        #expect(json.contains(old))
        let error = failure { _ = try ModelConfiguration(json: json.replacing(old, with: new), source: "m") }
        #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
    }
}
