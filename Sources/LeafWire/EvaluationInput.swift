package import LeafEvaluation
package import LeafFormat
package import LeafSystem

/// One line of a data file: an item of a published task, and by what name its result goes.
package struct EvaluationInput<Item: EvaluationItem> {
    package let id: JSON
    package let item: Item

    /// - Parameter number: of the line, which stands for an id that the item does not have.
    /// - Throws: `.usage` naming what is wrong.
    package init(json: ArraySlice<UInt8>, number: Int) throws(LeafError) {
        var id: RequestID?
        var reader = JSONReader(json)
        try reader.fields { name, reader throws(LeafError) in
            if name == "id" { id = try RequestID(&reader) } else { try reader.skip() }
        }
        try reader.end()
        item = try JSONReader.decode(Item.self, from: json)
        self.id = id?.json ?? .integer(number)
    }
}
