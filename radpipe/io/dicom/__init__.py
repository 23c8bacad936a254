"""DICOM: what a folder holds, its images as volumes, its regions as masks. Only this package knows pydicom."""
