"""Print the installed versions as a pip constraints file (``make constraints``)."""

from importlib.metadata import distributions

OWN = {"radpipe", "pip", "setuptools", "wheel", "pyradiomics"}


def main() -> None:
    pins = {d.metadata["Name"].lower().replace("_", "-"): d.version.partition("+")[0] for d in distributions()}
    if "xgboost-cpu" in pins:
        pins["xgboost"] = pins["xgboost-cpu"]  # the same library under its other name, for systems that are not Linux
    print("# The versions radpipe was tested with. Remade by `make constraints`; the package itself asks for ranges.")
    for name in sorted(set(pins) - OWN):
        print(f"{name}=={pins[name]}")


if __name__ == "__main__":
    main()
