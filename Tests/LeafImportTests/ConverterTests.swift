import Foundation
import LeafFormat
import LeafImport
import Testing

@Suite("conversion") struct ConverterTests {
    @Test(arguments: ["ant-tiny-a/hf", "ant-tiny-a/hf-head", "ant-tiny-b/hf", "ant-tiny-c/hf-safetensors-sharded"])
    func everyFormConverts(form: String) throws {
        let folder = try TemporaryFolder()
        let result = try Converter(source: Golden.model(form), output: folder("m.leaf")).run()
        let file = try LeafFile.open(path: folder("m.leaf"))
        #expect(result.bytes == file.fileBytes)
    }
}
