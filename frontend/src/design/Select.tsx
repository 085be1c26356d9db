/** One choice of many, with a note under each. */
import { Button, Label, ListBox, ListBoxItem, Popover, Select as AriaSelect, SelectValue, Text } from "react-aria-components";
import { Icon } from "./Icon";

export interface Choice {
  id: string;
  name: string;
  note?: string;
}

interface SelectProps {
  label: string;
  hideLabel?: boolean;
  hint?: string;
  placeholder?: string;
  choices: Choice[];
  value: string | null;
  onChange: (id: string) => void;
  isDisabled?: boolean;
}

export function Select({ label, hideLabel = false, hint, placeholder, choices, value, onChange, isDisabled = false }: SelectProps) {
  return (
    <AriaSelect className="field" value={value} isDisabled={isDisabled} {...(placeholder ? { placeholder } : {})}
      onChange={(key) => { if (key !== null) onChange(String(key)); }}>
      <Label className={hideLabel ? "sr-only" : "field-label"}>{label}</Label>
      <Button className="select-button">
        <SelectValue>{({ selectedText, defaultChildren }) => selectedText ?? defaultChildren}</SelectValue>
        <Icon name="chevron" />
      </Button>
      {hint && <Text slot="description" className="field-hint">{hint}</Text>}
      <Popover className="options">
        <ListBox items={choices}>
          {(choice) => (
            <ListBoxItem className="option" id={choice.id} textValue={choice.name}>
              <Text slot="label">{choice.name}</Text>
              {choice.note && <Text slot="description" className="option-note">{choice.note}</Text>}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </AriaSelect>
  );
}
